"""What the decoded picture adds to what a file says of its origin."""
