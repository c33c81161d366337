"""Replicas of real people: footage -> graded -> prepared -> trained -> evaluated -> stored."""
