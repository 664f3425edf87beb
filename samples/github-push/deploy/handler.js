module.exports = async ({ cloudEvent }) => {
  const { ref, repository, after } = cloudEvent.data;
  if (ref !== "refs/heads/main") return;
  console.log(`deploy ${repository.full_name} at ${after.slice(0, 7)}`);
};
