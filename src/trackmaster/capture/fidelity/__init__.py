"""How true the simulator is: real inputs driven open loop and compared with what the game recorded."""
