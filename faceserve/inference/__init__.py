"""How a request gets its answer: the photo is decoded, an engine becomes free, a version answers."""
