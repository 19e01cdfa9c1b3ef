"""Open what holds moving pictures: video files, animated images, folders of frames."""
