"""How the stages of a method are run, resumed, launched and checked again."""
