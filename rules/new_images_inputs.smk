# Images that `predict_images` names, and the runs that answer for them.

# Images that `predict_images` names, and whose networks answer.
NEW_IMAGES = (
    checked(new_images.list_new_images, config["predict_images"])
    if config["predict_images"]
    else []
)
NEW_IMAGES_NAME = (
    new_images.folder_name(config["predict_images"]) if config["predict_images"] else "none"
)
ANSWERING = configuration.design_for_new_images(
    config, headline_design(), configuration.experiments(config)
)
if (
    NEW_IMAGES
    and configuration.input_part(config, ANSWERING["scheme"]) in configuration.LUNG_INPUTS
):
    raise WorkflowError(
        f"predict_images: the networks of {ANSWERING['scheme']} need a lung mask of every image, "
        "which new images do not have: name another scheme as predict.scheme."
    )
# A file that nobody makes: Snakemake names it when it refuses, before any job, to predict nothing.
NO_NEW_IMAGES = (
    "predict_images (it names no image yet; say which, as in: "
    "snakemake predict --config predict_images=FOLDER)"
)


def new_images_page():
    """Page of the new images, where there are any."""
    if not NEW_IMAGES:
        return []
    return f"results/{config['dataset']}/predict/{NEW_IMAGES_NAME}/index.html"


def answering_runs(dataset):
    """Folds and seeds of the design that answers for new images."""
    return runs(dataset, **ANSWERING)


def of_answering_runs(pattern):
    """Input function: one file a run of the design that answers for new images."""
    return lambda wildcards: [filled(pattern, **run) for run in answering_runs(wildcards.dataset)]


def named_in_words(named):
    """What `predict_images` names, for readers."""
    return named if isinstance(named, str) else ", ".join(named or [])
