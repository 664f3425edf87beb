import { Component, type ComponentChildren } from "preact";
import { Failure } from "./message.tsx";

interface BoundaryProps {
  readonly children: ComponentChildren;
}

/** Keeps what fails in it from the rest of the page. */
export class Boundary extends Component<BoundaryProps, { readonly error?: unknown }> {
  override componentDidCatch(error: unknown): void {
    this.setState({ error });
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return (
      <>
        <h1>This cannot be shown</h1>
        <Failure error={this.state.error} />
        <button type="button" onClick={() => this.setState({ error: undefined })}>
          Try again
        </button>
      </>
    );
  }
}
