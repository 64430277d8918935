"""The tutorial's hello page, built and run as a person would, with a verdict for every stage."""
