"""Figure 2: the pipeline, as Snakemake itself reports it."""

import subprocess
import sys
from pathlib import Path

from workflow_scripts.cxrcam.figures.pipeline import pipeline_caption, pipeline_figure
from workflow_scripts.cxrcam.figures.rule_graph import edges_from_dot
from workflow_scripts.cxrcam.figures.style import save_figure
from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.logs import start_log

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    # The resolved configuration: whatever files and --config options this run was started with.
    asked = subprocess.run(  # noqa: S603 (our own Snakefile, by the same Python)
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", snakemake.params.snakefile),
            *("--configfile", snakemake.input[0], "--rulegraph", "dot", "--", "all", "paper"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        raise RuntimeError(f"Snakemake could not draw the rule graph:\n{asked.stderr}")
    edges = edges_from_dot(asked.stdout)
    omit = ("all", "paper")
    figure = pipeline_figure(edges, title="Figure 2: the pipeline", omit=omit)
    save_figure(figure, Path(snakemake.output.png).with_suffix(""))
    write_text(Path(snakemake.output.caption), pipeline_caption(edges, omit=omit) + "\n")
    log.info("Drew %d links between rules.", len(edges))
