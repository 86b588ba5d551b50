"""The table of all live pages, by name."""

from apps.console.pages import deployment, images, node, objects, overview, pod
from apps.console.pages.base import Page

PAGES: dict[str, Page] = {
    page.name: page for page in (overview.PAGE, deployment.PAGE, pod.PAGE, node.PAGE, images.PAGE, *objects.PAGES)
}
