"""The page's frame: title, looks, and which page to run. Started by ``tutor ui``.

Each page is a file under ``app_pages``; this file must not know what is on one.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from tutor import wiring
from tutor.errors import TutorError
from ui.web.pieces import show_error

HERE = Path(__file__).parent

wiring.go_offline()
st.set_page_config(page_title="ML system design tutor", page_icon=str(HERE / "icon.svg"), layout="centered")
st.html(HERE / "style.css")
page = st.navigation([st.Page("app_pages/ask.py", title="Ask", default=True)])
try:
    page.run()
except TutorError as error:
    show_error(error)
