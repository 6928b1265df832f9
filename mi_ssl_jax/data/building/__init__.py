"""Building prepared data sets out of archives and folders of images."""
