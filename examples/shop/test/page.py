"""What the shop shows: the button says what happens next."""

PAGE = """<!doctype html>
<html lang="en"><title>Shop</title>
<h1>One good lamp</h1>
<p>19.99, and it lasts. Sent today, thirty days to return it.</p>
<form method="post" action="/buy"><button>Put it on my desk</button></form>
</html>
"""
