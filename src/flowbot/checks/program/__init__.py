"""What can be found about a user's program before anything is paid for: it is run on made-up replies, in a process of its own."""
