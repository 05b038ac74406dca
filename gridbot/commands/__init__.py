"""What each command does. ``cli`` imports these when they are needed, never before."""
