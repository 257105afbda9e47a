"""Images that a record only names: URL policy, and readers for file, http(s), s3 and gs. `source.UrlImageSource` is the way in."""
