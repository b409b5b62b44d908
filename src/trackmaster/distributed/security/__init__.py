"""Who may speak to a server: certificates, tokens, passwords, join strings, and the files that hold them."""
