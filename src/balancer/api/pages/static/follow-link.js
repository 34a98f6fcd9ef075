// `balancer open` needs no click. Only on the page of a link that no other page has led to: see sign_in.py.
document.getElementById("link").requestSubmit();
