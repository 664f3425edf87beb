// An event that is returned goes back to the broker: here `audit` gets it, too.
module.exports = async ({ cloudEvent }) => ({
  specversion: "1.0",
  type: "order.shipped",
  source: "/warehouse",
  subject: cloudEvent.subject,
  data: { parcel: `P-${cloudEvent.subject}`, items: cloudEvent.data.items },
});
