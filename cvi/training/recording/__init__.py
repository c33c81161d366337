"""`cvi replica record`: teleprompter over the camera's picture, framing guide, level meter, film."""
