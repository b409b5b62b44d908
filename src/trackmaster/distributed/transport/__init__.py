"""How samples reach the learner and weights the workers where no server is needed: the contract and its local forms."""
