"""What every engine of a layer and every transport must do: one check each, which raises AssertionError."""
