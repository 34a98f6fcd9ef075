"""What the shop shows."""

PAGE = """<!doctype html>
<html lang="en"><title>Shop</title>
<h1>One good lamp</h1>
<p>19.99, and it lasts.</p>
<form method="post" action="/buy"><button>Buy</button></form>
</html>
"""
