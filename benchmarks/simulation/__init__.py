"""Thousands of clients and tens of servers in virtual time, with the real layers between them."""
