# What pip has to be told when packages are for an image: its Python and its machine may be others than those that run here.
# TARGETPLATFORM, TARGETARCH (absent for several platforms) and the base's PYTHON_VERSION are there then.
wheels=
wheels_for=
if [ -n "${TARGETPLATFORM:-}" ]; then
  if [ -z "${PYTHON_VERSION:-}" ]; then
    echo "the base image does not say which Python it has: say so with --build-arg PYTHON_VERSION=3.13" >&2
    exit 1
  fi
  minor=$(echo "$PYTHON_VERSION" | cut -d. -f1,2)
  case ${TARGETARCH:-} in
    amd64) machine=x86_64 ;;
    arm64) machine=aarch64 ;;
    arm) machine=armv7l ;;
    386) machine=i686 ;;
    *) machine=${TARGETARCH:-} ;;
  esac
  here=$("$python" -c 'import platform, sys; print("%d.%d" % sys.version_info[:2], platform.machine())')
  if [ "$here" != "$minor $machine" ]; then
    wheels_for="Python $minor on $TARGETPLATFORM"
    wheels="--only-binary=:all: --implementation cp --python-version $minor"
    if [ -z "$machine" ]; then
      wheels="$wheels --platform any"
    else
      for system in manylinux_2_28 manylinux_2_27 manylinux_2_24 manylinux_2_17 manylinux2014 manylinux_2_12 manylinux2010 \
        manylinux_2_5 manylinux1 linux; do
        wheels="$wheels --platform ${system}_$machine"
      done
    fi
  fi
fi

# Installs into packages/ what the arguments say.
install_packages() {
  # One word for each option: none has a space in it.
  # shellcheck disable=SC2086
  "$python" -m pip install --disable-pip-version-check --no-input --upgrade --target ../packages $wheels "$@" || {
    code=$?
    [ -z "$wheels_for" ] || echo "packages for this image need a wheel for $wheels_for: they cannot be built here" >&2
    exit $code
  }
}
