"""What another package adds to lrbench. Importing one of its modules registers what is in it."""
