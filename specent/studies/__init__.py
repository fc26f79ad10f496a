"""What recipes share: settings, tiny runs, files, printed tables, and how a recipe is found and loaded."""

from __future__ import annotations

from specent.studies.entangled import entanglement_lines as entanglement_lines
from specent.studies.named_grids import named_grid as named_grid
from specent.studies.outputs import existing_folder as existing_folder
from specent.studies.outputs import mark_tiny as mark_tiny
from specent.studies.outputs import output_paths as output_paths
from specent.studies.outputs import write_results as write_results
from specent.studies.pictures import PictureSettings as PictureSettings
from specent.studies.pictures import StudiedPictures as StudiedPictures
from specent.studies.pictures import studied_pictures as studied_pictures
from specent.studies.recipes import recipe as recipe
from specent.studies.recipes import recipe_error as recipe_error
from specent.studies.recipes import recipe_names as recipe_names
from specent.studies.recipes import recipe_path as recipe_path
from specent.studies.runs import remove_run as remove_run
from specent.studies.runs import run_folder as run_folder
from specent.studies.runs import sampled as sampled
from specent.studies.scaling import fit_both_laws as fit_both_laws
from specent.studies.seeds import over_seeds as over_seeds
from specent.studies.seeds import over_seeds_text as over_seeds_text
from specent.studies.seeds import samples_by_class as samples_by_class
from specent.studies.seeds import verdict_lines as verdict_lines
from specent.studies.settings import SampledSettings as SampledSettings
from specent.studies.settings import ShardedSettings as ShardedSettings
from specent.studies.settings import StudySettings as StudySettings
from specent.studies.settings import limited_threads as limited_threads
from specent.studies.settings import stored_settings as stored_settings
from specent.studies.tables import half_entropy_text as half_entropy_text
from specent.studies.tables import print_lines as print_lines
from specent.studies.tiny import tiny_settings as tiny_settings
from specent.studies.tiny import without_meaning as without_meaning

__all__ = [
    "PictureSettings",
    "SampledSettings",
    "ShardedSettings",
    "StudiedPictures",
    "StudySettings",
    "entanglement_lines",
    "existing_folder",
    "fit_both_laws",
    "half_entropy_text",
    "limited_threads",
    "mark_tiny",
    "named_grid",
    "output_paths",
    "over_seeds",
    "over_seeds_text",
    "print_lines",
    "recipe",
    "recipe_error",
    "recipe_names",
    "recipe_path",
    "remove_run",
    "run_folder",
    "sampled",
    "samples_by_class",
    "stored_settings",
    "studied_pictures",
    "tiny_settings",
    "verdict_lines",
    "without_meaning",
]
