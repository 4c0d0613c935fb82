"""What images a data set has, found out before any of them is read.

Snakemake imports this whenever it reads the workflow: standard library only.
"""
