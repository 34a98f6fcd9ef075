// An app as the ancestor of Balancer took it: package.json names it, its file and its domains.
require('http').createServer(function (request, response) {
  response.end('hello from ' + process.env.BALANCER_BRANCH + '\n')
}).listen(process.env.PORT)
