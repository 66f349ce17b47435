"""The planner's app: reads the lake and shows it as pages in a browser. It writes nothing below ``runs/``."""
