"""What travels and who takes it, as documents: AsyncAPI, the wire schemas, capabilities. Pure."""
