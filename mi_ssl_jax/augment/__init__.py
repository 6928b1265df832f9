"""Views, made on the device: `ops` are single operations on one image, `views` are the named
pipelines."""
