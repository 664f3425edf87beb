import { Link } from "../components/link.tsx";
import { path } from "../router.ts";

export function NotFound() {
  return (
    <>
      <h1>Not found</h1>
      <p>
        There is nothing at <code>{path}</code>. <Link to="/">All functions</Link>
      </p>
    </>
  );
}
