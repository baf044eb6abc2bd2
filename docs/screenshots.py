"""Take the screenshots of the report that docs/report.md shows.

pip install playwright pillow    # and a Chromium, which `which chromium` finds
python docs/screenshots.py work_dirs/seam_r38_voc/report.html
"""

import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / 'images'
TO_GALLERY = "document.getElementById('gallery').scrollIntoView()"
TO_LEAST_CERTAIN = """
const order = document.getElementById('order');
order.value = 'uncertain';
order.dispatchEvent(new Event('input'));
"""
TO_MIDDLE = """
const slider = document.getElementById('share');
slider.value = 55;
slider.dispatchEvent(new Event('input'));
"""


def main(report: str) -> None:
    """Take a desktop, a phone and a dark, enlarged picture."""
    with sync_playwright() as tool:
        browser = tool.chromium.launch(
            executable_path=shutil.which('chromium'), args=['--no-sandbox']
        )
        for name, width, height, theme in (
            ('report', 1200, 900, 'light'),
            ('report_phone', 390, 780, 'light'),
            ('report_dark', 1200, 900, 'dark'),
        ):
            page = browser.new_page(
                viewport=dict(width=width, height=height), color_scheme=theme
            )
            page.goto(Path(report).resolve().as_uri())
            page.evaluate(TO_LEAST_CERTAIN)
            page.evaluate(TO_GALLERY)
            if theme == 'dark':
                page.locator('.panel', has_text='refined').first.click()
                page.evaluate(TO_MIDDLE)
            page.wait_for_timeout(800)
            path = IMAGES / f'{name}.png'
            page.screenshot(path=path)
            # A palette of 256 colours makes a third of the file.
            Image.open(path).convert('RGB').quantize(256).save(path, optimize=True)
        browser.close()


if __name__ == '__main__':
    main(sys.argv[1])
