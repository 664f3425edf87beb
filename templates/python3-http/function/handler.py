def handle(event, context):
    """`event`: body (bytes), headers, method, query, path. `context`: hostname, secret(name).

    What is returned is the answer; a dict or list as "body" becomes JSON.
    """
    return {
        "statusCode": 200,
        "body": {
            "received": event.body.decode("utf-8", "replace"),
            "contentType": event.headers.get("Content-Type"),
            "method": event.method,
            "path": event.path,
        },
    }
