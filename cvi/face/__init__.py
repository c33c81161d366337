"""The face: speech timeline and state -> control vector -> frames."""
