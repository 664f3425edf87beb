const express = require("express");

// The application is the function: whatever Express can do, it can. Nothing has to listen.
const app = express();
app.disable("x-powered-by");
app.use(express.json());
app.use(express.text({ type: "text/*" }));

app.use((req, res) => {
  res.json({ received: req.body ?? null, method: req.method, path: req.path });
});

module.exports = app;
