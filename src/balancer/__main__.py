"""`python -m balancer`: the command line, where no script is on the PATH."""

from balancer.cli import main

main()
