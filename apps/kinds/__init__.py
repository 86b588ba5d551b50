"""One typed description of each kind of object; pure, no Django."""
