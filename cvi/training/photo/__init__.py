"""A replica made of one photo: reading it, seeing whether it will do, and storing what is needed."""
