"""What every engine of a layer and every transport must do, as checks that tests call."""
