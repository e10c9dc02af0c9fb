"""Pictures of maps: figures with matplotlib (extra ``plot``), and a comparison in HTML."""

from skdefocus.plotting._colors import as_jpeg_uri as as_jpeg_uri
from skdefocus.plotting._colors import colored as colored
from skdefocus.plotting._colors import filled_page as filled_page
from skdefocus.plotting._colors import gradient as gradient
from skdefocus.plotting._colors import logarithmic_share as logarithmic_share
from skdefocus.plotting._colors import thumbnail as thumbnail
from skdefocus.plotting._compare import MapComparison, compare
from skdefocus.plotting._contact_sheet import contact_sheet
from skdefocus.plotting._figures import ALPHA as ALPHA
from skdefocus.plotting._figures import overview, show_map
from skdefocus.plotting._figures import showcase as showcase
from skdefocus.plotting._figures import upper_end as upper_end
from skdefocus.plotting._figures import write_colored as write_colored

__all__ = ["MapComparison", "compare", "contact_sheet", "overview", "show_map"]
