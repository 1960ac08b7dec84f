"""Items by what they are: text, pictures and mixtures of them, as vectors that travel to items nobody has seen."""
