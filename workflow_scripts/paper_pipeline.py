"""Figure 2: the pipeline."""

from pathlib import Path

from workflow_scripts.cxrcam.drawing.style import save_figure
from workflow_scripts.cxrcam.figures.pipeline import STAGES, pipeline_caption, pipeline_figure
from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.logs import start_log

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    save_figure(pipeline_figure(), Path(snakemake.output.png).with_suffix(""))
    write_text(Path(snakemake.output.caption), pipeline_caption() + "\n")
    log.info("Drew %d stages.", len(STAGES))
