"""From an empty folder to an image: project skeletons, build contexts, the Docker engine, and what was built."""
