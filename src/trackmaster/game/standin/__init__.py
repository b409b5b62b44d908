"""The stand-in: the embedded simulator behind a socket, speaking the game plugin's protocol with all its manners."""
