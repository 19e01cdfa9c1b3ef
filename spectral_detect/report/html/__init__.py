"""One HTML file that tells what a scan found, how, and what that is worth."""
