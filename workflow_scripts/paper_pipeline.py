"""Figure 2: the pipeline."""

from pathlib import Path

from workflow_scripts.cxrcam.drawing.style import save_captioned
from workflow_scripts.cxrcam.figures.pipeline import STAGES, pipeline_caption, pipeline_figure
from workflow_scripts.cxrcam.logs import start_log

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    figure = pipeline_figure()
    save_captioned(figure, Path(snakemake.output.png).with_suffix(""), pipeline_caption())
    log.info("Drew %d stages.", len(STAGES))
