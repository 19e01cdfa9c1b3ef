"""A score becomes a verdict, and a verdict a record: of images, and of videos by a vote of their frames."""
