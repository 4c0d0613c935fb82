"""The library under the workflow: pure modules that know nothing of Snakemake."""
