"""Three services on one afternoon, on which one of them has a bad day. Run it: `make example-services`."""
